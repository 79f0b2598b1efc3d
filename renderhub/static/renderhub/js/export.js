// @ts-check
// One export: its progress, then its file, or why there is none.

import {ApiError, call} from './api.js';
import {find, make, setNotice, setText} from './elements.js';
import {isRunning, merge} from './known_exports.js';
import {keepLive} from './live.js';
import {Player} from './player.js';
import {Progress} from './progress.js';
import {
	clockInWords,
	costInWords,
	durationInWords,
	eventInWords,
	formatInWords,
	momentInWords,
	percentInWords,
	sizeInWords,
	statusInWords,
} from './words.js';

/** @typedef {import('./api.js').ExportStatus} ExportStatus */
/** @typedef {import('./api.js').TimelineEntry} TimelineEntry */

const exportId = find('page', HTMLElement).dataset.exportId ?? '';
const badge = find('status', HTMLSpanElement);
const running = find('running', HTMLElement);
const failure = find('failure', HTMLElement);
const news = find('news', HTMLParagraphElement);
const problem = find('problem', HTMLDivElement);
const progress = new Progress();
const cancel = make('button', {type: 'button', class: 'button'}, 'Cancel export');
running.append(progress.element, make('div', {class: 'actions'}, cancel));
cancel.addEventListener('click', () => ask(cancel, 'cancel'));

/** @type {ExportStatus | undefined} */
let shown;

/** What cancelling it here has meant for its render. */
let cancelled = '';

const player = new Player(find('file', HTMLElement), () => readStatus());

/** @param {ExportStatus} incoming */
const take = (incoming) => {
	const before = shown;
	const now = /** @type {ExportStatus} */ (merge(before, incoming));
	shown = now;
	show(now);
	if (before?.version !== now.version) {
		readEvents();
	}
	if (before !== undefined && before.status !== now.status) {
		setText(news, `${now.title}: ${statusInWords(now)}`);
	}
};

/** @param {ExportStatus} now */
const show = (now) => {
	find('loading', HTMLDivElement).hidden = true;
	setText(badge, statusInWords(now));
	badge.dataset.status = now.status;
	document.title = `${isRunning(now) && now.progress > 0 ? `${percentInWords(now.progress)} · ` : ''}${now.title} · renderhub`;
	running.hidden = !isRunning(now);
	progress.show(now);
	player.show(now);
	showFailure(now);
	showDetails(now);
};

/** @param {ExportStatus} now */
const showFailure = (now) => {
	failure.hidden = now.status !== 'failed' && now.status !== 'cancelled';
	// Built once for each state, so that what is being read or pressed stays.
	const state = `${now.status} ${now.version} ${cancelled}`;
	if (failure.hidden || failure.dataset.state === state) {
		return;
	}
	failure.dataset.state = state;
	const hasFailed = now.status === 'failed';
	const retry = make('button', {type: 'button', class: 'button primary'}, hasFailed ? 'Retry' : 'Export it after all');
	retry.addEventListener('click', () => ask(retry, 'retry'));
	const advice = hasFailed
		? now.retryable
			? 'The cause may pass: trying again can help.'
			: 'Trying again as it is will most likely end the same way: mend the cause first.'
		: `It was cancelled before it was finished. ${cancelled}`.trim();
	const stacks = now.errors.map(({stack}) => stack).filter((stack) => stack !== '');
	failure.replaceChildren(
		make('h2', {id: 'failure-title'}, hasFailed ? 'The export failed' : 'The export was cancelled'),
		...(now.errorMessage ? [make('pre', {class: 'code message', tabindex: '0'}, now.errorMessage)] : []),
		make('p', {class: 'muted'}, advice),
		make('div', {class: 'actions'}, retry),
		...stacks.map((stack) =>
			make('details', {}, make('summary', {}, 'All that Remotion said'), make('pre', {class: 'code', tabindex: '0'}, stack)),
		),
	);
};

/**
 * Asks for what a button offers, once for each press that comes to its answer.
 *
 * @param {HTMLButtonElement} button
 * @param {'cancel' | 'retry'} what
 */
const ask = async (button, what) => {
	if (button.getAttribute('aria-disabled') === 'true') {
		return;
	}
	button.setAttribute('aria-disabled', 'true');
	setNotice(problem, '');
	try {
		const answer = await call('POST', `/api/exports/${exportId}/${what}`);
		// What became of the render: whether it stops, or goes on and is paid.
		cancelled = answer.detail ?? '';
		await readStatus();
	} catch (error) {
		setNotice(problem, messageOf(error));
	}
	button.removeAttribute('aria-disabled');
};

/** @param {ExportStatus} now */
const showDetails = (now) => {
	/** @type {[string, string][]} */
	const details = [
		['Composition', now.compositionId],
		['Format', formatInWords(now.codec)],
	];
	if (now.outputSizeBytes !== null) {
		details.push(['Size', sizeInWords(now.outputSizeBytes)]);
	}
	if (now.completedAt !== null) {
		// From when it was asked for, waiting included: what its owner waited.
		details.push(['Took', durationInWords((Date.parse(now.completedAt) - Date.parse(now.createdAt)) / 1000)]);
	}
	if (Number(now.cost.amount) > 0) {
		details.push(['Cost', costInWords(now.cost)]);
	}
	details.push(['Attempt', String(now.attempt)], ['Asked for', momentInWords(now.createdAt)]);
	if (now.renderId !== null) {
		details.push(['Render', now.renderId]);
	}
	details.push(['Export', now.exportId]);
	find('details', HTMLDListElement).replaceChildren(
		...details.flatMap(([term, value]) => [make('dt', {}, term), make('dd', {}, value)]),
	);
};

/** @param {TimelineEntry[]} events */
const showEvents = (events) => {
	const hasSeveral = events.some(({attempt}) => attempt > 1);
	find('timeline', HTMLOListElement).replaceChildren(
		...events.map(({at, type, status, attempt, detail}) =>
			make(
				'li',
				{'data-status': status},
				make('time', {datetime: at, title: momentInWords(at)}, clockInWords(at)),
				make(
					'div',
					{},
					make('p', {}, hasSeveral ? `${eventInWords(type)} (attempt ${attempt})` : eventInWords(type)),
					...(detail ? [make('p', {class: 'muted'}, detail)] : []),
				),
			),
		),
	);
};

const readStatus = async () => {
	try {
		take(await call('GET', `/api/exports/${exportId}/status`));
		setNotice(problem, '');
	} catch (error) {
		setNotice(problem, messageOf(error));
	}
};

const readEvents = async () => {
	try {
		showEvents((await call('GET', `/api/exports/${exportId}/events`)).events);
	} catch (error) {
		setNotice(problem, messageOf(error));
	}
};

/** @param {unknown} error */
const messageOf = (error) => {
	if (error instanceof ApiError) {
		return error.status === 404 ? 'This export has been deleted.' : error.message;
	}
	throw error;
};

keepLive(find('live', HTMLParagraphElement), {
	onExport: (status) => status.exportId === exportId && take(status),
	readAgain: readStatus,
	isWaiting: () => shown !== undefined && isRunning(shown),
});
