import assert from 'node:assert/strict';
import {test} from 'node:test';
import * as words from '../../renderhub/static/renderhub/js/words.js';
import {adviceFor, pathOf} from '../../renderhub/static/renderhub/js/api.js';

test('sizes have two digits where they are small', () => {
	const sizes = [0, 999, 1000, 9_940, 9_990, 385_123, 999_600, 1_234_567, 2_500_000_000].map(words.sizeInWords);
	assert.deepEqual(sizes, ['0 bytes', '999 bytes', '1.0 kB', '9.9 kB', '10 kB', '385 kB', '1.0 MB', '1.2 MB', '2.5 GB']);
});

test('durations are said in the units that fit', () => {
	const said = [0.04, 9.2, 9.96, 59.4, 59.6, 61, 3600, 7260].map(words.durationInWords);
	assert.deepEqual(said, ['0.0 s', '9.2 s', '10 s', '59 s', '1 min 0 s', '1 min 1 s', '1 h 0 min', '2 h 1 min']);
});

test('moments are said from now, and as dates where they are long ago', () => {
	const now = Date.parse('2026-01-02T12:00:00Z');
	const ago = (moment) => words.agoInWords(moment, now);
	assert.equal(ago('2026-01-02T11:59:30Z'), 'just now');
	assert.equal(ago('2026-01-02T12:00:30Z'), 'just now');
	assert.equal(ago('2026-01-02T11:57:00Z'), '3 min ago');
	assert.equal(ago('2026-01-02T09:00:00Z'), '3 h ago');
	assert.equal(ago('2025-12-20T12:00:00Z'), '20 Dec 2025');
});

test('fractions of a cent keep two digits', () => {
	const said = ['0', '0.00022', '0.012', '1.5', '12.345'].map((amount) => words.costInWords({amount, currency: 'USD'}));
	assert.deepEqual(said, ['$0', '$0.00022', '$0.012', '$1.50', '$12.35']);
});

test('a hundred per cent is not said before the end', () => {
	assert.equal(words.percentInWords(0.999), '99 %');
});

test('what remains is said for each state of a running export', () => {
	const row = {status: 'processing', progress: 0.5, attempt: 1, etaSeconds: 12.2};
	assert.equal(words.remainingInWords(row), 'About 13 s left');
	assert.equal(words.remainingInWords({...row, etaSeconds: 0.4}), 'Almost there');
	assert.equal(words.remainingInWords({...row, etaSeconds: null, progress: 0}), 'The render is being started');
	assert.equal(words.remainingInWords({...row, etaSeconds: undefined}), '');
	assert.equal(words.remainingInWords({...row, status: 'pending', attempt: 2}), 'Waiting for a worker, attempt 2');
	assert.equal(words.remainingInWords({...row, status: 'pending', queuePosition: 1}), 'Next in line');
	assert.equal(words.remainingInWords({...row, status: 'pending', queuePosition: 12}), 'In line, number 12');
});

test('a file is shown as what its codec makes', () => {
	const media = ['h264', 'gif', 'mp3', 'png', 'jpeg', 'webp', 'pdf'].map(words.mediumOf);
	assert.deepEqual(media, ['video', 'animation', 'audio', 'picture', 'picture', 'picture', 'page']);
	assert.equal(words.formatInWords('pdf'), 'PDF · still');
});

test('each refusal says what to do', () => {
	assert.match(adviceFor(401, null, ''), /Sign in again/);
	assert.match(adviceFor(403, null, 'CSRF Failed'), /Sign in again/);
	assert.match(adviceFor(429, '12', ''), /in 12 s/);
	assert.match(adviceFor(429, null, ''), /in a minute/);
	assert.match(adviceFor(502, null, ''), /Try again in a moment/);
	assert.equal(adviceFor(409, null, 'It is running.'), 'It is running.');
	assert.match(adviceFor(418, null, ''), /Reload/);
});

test('a next page is asked of this server, by whatever name a proxy knows it', () => {
	assert.equal(pathOf('http://inner:8000/api/exports/history?cursor=a%3D'), '/api/exports/history?cursor=a%3D');
	assert.equal(pathOf(null), null);
});
