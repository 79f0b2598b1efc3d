// @ts-check
// The bar of a running export.

import {make, setText} from './elements.js';
import {isRunning} from './known_exports.js';
import {percentInWords, remainingInWords} from './words.js';

/** A progress bar with its percentage and what remains, in words. */
export class Progress {
	#bar = make('progress', {max: 1});
	#percent = make('span', {class: 'percent'});
	#remaining = make('span', {class: 'remaining'});

	/** The element to put on the page. */
	element = make(
		'div',
		{class: 'progress'},
		this.#bar,
		make('p', {class: 'progress-words'}, this.#remaining, this.#percent),
	);

	/** @param {import('./api.js').ExportRow} row */
	show(row) {
		this.element.hidden = !isRunning(row);
		this.#bar.setAttribute('aria-label', `Progress of ${row.title}`);
		// Without a value the bar says that something goes on, but not how far it is.
		if (row.progress > 0) {
			this.#bar.value = row.progress;
		} else {
			this.#bar.removeAttribute('value');
		}
		setText(this.#percent, row.progress > 0 ? percentInWords(row.progress) : '');
		setText(this.#remaining, remainingInWords(row));
	}
}
