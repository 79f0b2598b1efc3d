import assert from 'node:assert/strict';
import {test} from 'node:test';
import {KnownExports, isRunning, merge} from '../../renderhub/static/renderhub/js/known_exports.js';

const row = (more) => ({exportId: 'a', status: 'processing', version: 2, progress: 0.5, title: 'T', ...more});

test('what is unknown is taken', () => {
	assert.deepEqual(merge(undefined, row()), row());
});

test('a higher version wins, even with less progress', () => {
	const retried = row({version: 3, progress: 0, status: 'pending'});
	assert.equal(merge(row(), retried), retried);
	assert.equal(merge(retried, row()), retried);
});

test('at one version the higher progress wins', () => {
	assert.equal(merge(row({progress: 0.6}), row({progress: 0.5})).progress, 0.6);
	assert.equal(merge(row({progress: 0.5}), row({progress: 0.6})).progress, 0.6);
});

test('a line of the history takes nothing away from the same status', () => {
	const merged = merge(row({etaSeconds: 4, outputUrl: 'x'}), row());
	assert.deepEqual([merged.etaSeconds, merged.outputUrl], [4, 'x']);
});

test('an estimate does not outlive the progress that it was made at', () => {
	assert.equal(merge(row({etaSeconds: 4}), row({progress: 0.9})).etaSeconds, undefined);
});

test('an address that was made anew replaces the old one', () => {
	assert.equal(merge(row({outputUrl: 'old'}), row({outputUrl: 'new'})).outputUrl, 'new');
});

test('exports stand newest first, whatever order they come in', () => {
	const known = new KnownExports();
	for (const exportId of ['01b', '01c', '01a']) {
		known.take(row({exportId, status: exportId === '01c' ? 'completed' : 'pending'}));
	}
	assert.deepEqual(known.newestFirst().map((each) => each.exportId), ['01c', '01b', '01a']);
	assert.deepEqual(known.running().map((each) => each.exportId), ['01b', '01a']);
});

test('taking tells what was there before', () => {
	const known = new KnownExports();
	assert.equal(known.take(row()).before, undefined);
	const {before, now} = known.take(row({version: 3, status: 'completed'}));
	assert.deepEqual([before.status, now.status], ['processing', 'completed']);
});

test('running is what has not ended', () => {
	const ended = ['pending', 'processing', 'completed', 'failed', 'cancelled'].filter((status) => !isRunning(row({status})));
	assert.deepEqual(ended, ['completed', 'failed', 'cancelled']);
});
