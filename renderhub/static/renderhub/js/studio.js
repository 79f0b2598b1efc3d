// @ts-check
// The studio: choosing a project, editing its props, asking for exports and seeing them move.

import {ApiError, call, pathOf} from './api.js';
import {dropDraft, keepDraft, readDraft} from './drafts.js';
import {find, make, setNotice, setText} from './elements.js';
import {ExportsList} from './exports_list.js';
import {KnownExports} from './known_exports.js';
import {keepLive} from './live.js';
import {PropsForm} from './props_form.js';
import {describe, partsOf, toTyped} from './props_model.js';
import {statusInWords} from './words.js';

/** @typedef {import('./api.js').Project} Project */
/** @typedef {import('./api.js').ExportRow} ExportRow */
/** @typedef {import('./api.js').PointedError} PointedError */

// --- The projects and the form ------------------------------------------------------------------------------

const order = find('order', HTMLFormElement);
const picker = find('project', HTMLSelectElement);
const codec = find('codec', HTMLSelectElement);
const place = find('props', HTMLDivElement);
const problems = find('problems', HTMLDivElement);
const button = find('export', HTMLButtonElement);
const answer = find('answer', HTMLParagraphElement);
const moreProjects = find('more-projects', HTMLButtonElement);

/** @type {Map<string, Project>} */
const projects = new Map();
/** @type {Project | undefined} */
let project;
/** @type {PropsForm | undefined} */
let form;
/** @type {string | null} */
let nextProjects = null;

/** @param {Project} each */
const addProject = (each) => {
	if (!projects.has(each.projectId)) {
		projects.set(each.projectId, each);
		picker.append(make('option', {value: each.projectId}, `${each.title} — ${each.compositionId}`));
	}
};

/** @param {string} path */
const loadProjects = async (path) => {
	const page = await call('GET', path);
	page.results.forEach(addProject);
	nextProjects = pathOf(page.next);
	moreProjects.hidden = nextProjects === null;
};

/**
 * Shows a project's form, with what was typed there before.
 *
 * @param {Project} chosen
 */
const choose = (chosen) => {
	project = chosen;
	picker.value = chosen.projectId;
	history.replaceState(null, '', `?project=${chosen.projectId}`);
	const field = describe(chosen.propsSchema, chosen.inputProps);
	const draft = readDraft(chosen);
	form = new PropsForm(field, draft?.typed ?? toTyped(field));
	place.replaceChildren(form.element);
	codec.value = draft?.codec ?? chosen.codec;
	nameButton();
	showProblems([]);
	setText(answer, '');
};

const nameButton = () => {
	const extension = codec.selectedOptions[0]?.dataset.extension ?? '';
	setText(button, `Export ${extension.toUpperCase()}`);
};

/**
 * Shows each problem at its field, and all of them above the form.
 *
 * @param {PointedError[]} found their pointers lead into the request's body
 * @param {string} [message] what is wrong besides
 */
const showProblems = (found, message = '') => {
	form?.clearProblems();
	problems.replaceChildren();
	problems.hidden = found.length === 0 && message === '';
	if (problems.hidden) {
		return;
	}
	if (message !== '' && found.length === 0) {
		problems.append(make('p', {}, message));
		return;
	}
	const lines = found.map(({pointer, detail}) => {
		const [first, ...parts] = partsOf(pointer);
		const control = first === 'inputProps' ? form?.at(parts) : undefined;
		control?.setProblem(detail);
		const name = control?.name ?? (first === 'codec' ? 'Format' : pointer);
		const target = make('button', {type: 'button', class: 'link'}, name || 'The request');
		target.addEventListener('click', () => (control ? control.focus() : codec.focus()));
		return make('li', {}, target, `: ${detail}`);
	});
	problems.append(
		make('p', {}, make('strong', {}, 'Nothing was exported yet.'), ' Please mend this first:'),
		make('ul', {}, ...lines),
	);
	problems.focus();
};

picker.addEventListener('change', () => {
	const chosen = projects.get(picker.value);
	if (chosen !== undefined) {
		choose(chosen);
	}
});
codec.addEventListener('change', nameButton);
order.addEventListener('input', () => {
	if (project !== undefined && form !== undefined) {
		keepDraft(project, {codec: codec.value, typed: form.typed()});
	}
});
find('reset', HTMLButtonElement).addEventListener('click', () => {
	if (project !== undefined) {
		dropDraft(project);
		choose(project);
		setText(answer, 'The form is as the project has it again.');
	}
});
moreProjects.addEventListener('click', async () => {
	try {
		await loadProjects(nextProjects ?? '');
		picker.focus();
	} catch (error) {
		showProblems([], messageOf(error));
	}
});

// --- Asking for an export -----------------------------------------------------------------------------------

let isSending = false;

order.addEventListener('submit', async (event) => {
	event.preventDefault();
	if (isSending || project === undefined || form === undefined) {
		return;
	}
	const {value, problems: found} = form.read();
	showProblems(found.map(({pointer, detail}) => ({pointer: `/inputProps${pointer}`, detail})));
	setText(answer, '');
	if (found.length > 0) {
		return;
	}
	isSending = true;
	button.setAttribute('aria-disabled', 'true');
	setText(button, 'Sending …');
	try {
		const body = {inputProps: value, codec: codec.value};
		const {exportId} = await call('POST', `/api/exports/projects/${project.projectId}/export`, body);
		answer.replaceChildren('Your export is on its way. ', make('a', {href: `/exports/${exportId}`}, 'Follow it'));
		await readOne(exportId);
	} catch (error) {
		const isSure = error instanceof ApiError && error.status > 0;
		const more = isSure ? '' : ' Look at your exports first: this one may have been taken.';
		showProblems(error instanceof ApiError ? error.errors : [], messageOf(error) + more);
		readAgain();
	} finally {
		isSending = false;
		button.removeAttribute('aria-disabled');
		nameButton();
	}
});

// --- The exports --------------------------------------------------------------------------------------------

const HISTORY = '/api/exports/history';

const known = new KnownExports();
const news = find('news', HTMLParagraphElement);
const moreExports = find('more-exports', HTMLButtonElement);
const listProblem = find('list-problem', HTMLDivElement);
/** @type {string | null | undefined} undefined before the first page has been read */
let nextExports;

const list = new ExportsList(find('exports', HTMLOListElement), async (row) => {
	try {
		await call('POST', `/api/exports/${row.exportId}/retry`);
		await readOne(row.exportId);
		setNotice(listProblem, '');
	} catch (error) {
		setNotice(listProblem, messageOf(error));
	}
});

/** @param {ExportRow[]} rows */
const take = (rows) => {
	for (const row of rows) {
		const {before, now} = known.take(row);
		if (before !== undefined && before.status !== now.status) {
			setText(news, `${now.title}: ${statusInWords(now)}`);
		}
	}
	const all = known.newestFirst();
	list.show(all);
	find('no-exports', HTMLDivElement).hidden = all.length > 0;
	find('exports-loading', HTMLDivElement).hidden = true;
};

/** @param {string} exportId */
const readOne = async (exportId) => take([await call('GET', `/api/exports/${exportId}/status`)]);

/** @param {string} path */
const readPage = async (path) => {
	const page = await call('GET', path);
	take(page.results);
	return page;
};

const readAgain = async () => {
	try {
		const page = await readPage(HISTORY);
		if (nextExports === undefined) {
			showNext(page.next);
		}
		const read = new Set(page.results.map((/** @type {ExportRow} */ row) => row.exportId));
		await Promise.all(
			known
				.running()
				.filter((row) => !read.has(row.exportId))
				.map((row) => readOne(row.exportId)),
		);
		setNotice(listProblem, '');
	} catch (error) {
		setNotice(listProblem, messageOf(error));
	}
};

/** @param {string | null} next */
const showNext = (next) => {
	nextExports = pathOf(next);
	moreExports.hidden = nextExports === null;
};

moreExports.addEventListener('click', async () => {
	const last = find('exports', HTMLOListElement).lastElementChild;
	try {
		showNext((await readPage(nextExports ?? HISTORY)).next);
		// On with the first that was added: the button may be gone.
		last?.nextElementSibling?.querySelector('a')?.focus();
	} catch (error) {
		setNotice(listProblem, messageOf(error));
	}
});

/** @param {unknown} error */
const messageOf = (error) => {
	if (error instanceof ApiError) {
		return error.message;
	}
	throw error;
};

// --- Begin --------------------------------------------------------------------------------------------------

const begin = async () => {
	const asked = new URLSearchParams(location.search).get('project');
	try {
		await loadProjects('/api/projects?pageSize=100');
		if (asked !== null && /^[\da-f-]{36}$/i.test(asked) && !projects.has(asked)) {
			addProject(await call('GET', `/api/projects/${asked}`).catch(() => [...projects.values()][0]));
		}
	} catch (error) {
		setNotice(find('projects-problem', HTMLDivElement), messageOf(error));
		return;
	} finally {
		find('projects-loading', HTMLDivElement).hidden = true;
	}
	const chosen = projects.get(asked ?? '') ?? [...projects.values()][0];
	find('no-projects', HTMLDivElement).hidden = chosen !== undefined;
	order.hidden = chosen === undefined;
	if (chosen !== undefined) {
		choose(chosen);
	}
};

keepLive(find('live', HTMLParagraphElement), {
	onExport: (status) => take([status]),
	readAgain,
	isWaiting: () => known.running().length > 0,
});
begin();
