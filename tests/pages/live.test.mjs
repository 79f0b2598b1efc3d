import assert from 'node:assert/strict';
import {beforeEach, mock, test} from 'node:test';
import {Live, delayBefore} from '../../renderhub/static/renderhub/js/live.js';

class FakeSocket {
	static opened = [];

	constructor(url) {
		this.url = url;
		FakeSocket.opened.push(this);
	}
}

const world = () => {
	const seen = {states: [], reads: 0, exports: [], isWaiting: false};
	const live = new Live('ws://here/ws/exports', {
		onExport: (status) => seen.exports.push(status),
		readAgain: () => (seen.reads += 1),
		isWaiting: () => seen.isWaiting,
		onState: (state) => seen.states.push(state),
	});
	return {live, seen};
};

beforeEach(() => {
	FakeSocket.opened = [];
	globalThis.WebSocket = FakeSocket;
	mock.timers.reset();
	mock.timers.enable({apis: ['setTimeout', 'setInterval']});
});

test('each delay is longer than the one before, up to half a minute', () => {
	for (const random of [0, 0.5, 1]) {
		const delays = [0, 1, 2, 3, 4, 5, 50].map((attempt) => delayBefore(attempt, random));
		assert.deepEqual(delays, [...delays].sort((one, other) => one - other));
		assert.ok(delays[0] >= 1 && delays.at(-1) <= 30);
	}
});

test('two pages come back at different moments', () => {
	assert.notEqual(delayBefore(3, 0.1), delayBefore(3, 0.9));
});

test('it reads again only after the socket is open, so that nothing is missed between the two', () => {
	const {live, seen} = world();
	live.start();
	assert.equal(seen.reads, 0);
	FakeSocket.opened[0].onopen();
	assert.deepEqual([seen.reads, seen.states], [1, ['live']]);
});

test('a message is passed on, one of another type is not', () => {
	const {live, seen} = world();
	live.start();
	FakeSocket.opened[0].onmessage({data: '{"type": "export.updated", "export": {"exportId": "a"}}'});
	FakeSocket.opened[0].onmessage({data: '{"type": "weather"}'});
	assert.deepEqual(seen.exports, [{exportId: 'a'}]);
});

test('a closed socket is opened again, and what it missed is read', () => {
	const {live, seen} = world();
	live.start();
	FakeSocket.opened[0].onopen();
	FakeSocket.opened[0].onclose();
	assert.deepEqual([seen.states.at(-1), seen.reads, FakeSocket.opened.length], ['reconnecting', 2, 1]);
	mock.timers.tick(2_000);
	assert.equal(FakeSocket.opened.length, 2);
	FakeSocket.opened[1].onopen();
	assert.deepEqual([seen.states.at(-1), seen.reads], ['live', 3]);
});

test('without a socket at all the page still reads', () => {
	const {live, seen} = world();
	live.start();
	FakeSocket.opened[0].onclose();
	assert.equal(seen.reads, 1);
});

test('waking opens a lost socket at once, and only once', () => {
	const {live} = world();
	live.start();
	FakeSocket.opened[0].onclose();
	live.wake();
	assert.equal(FakeSocket.opened.length, 2);
	mock.timers.tick(31_000);
	assert.equal(FakeSocket.opened.length, 2);
});

test('waking with an open socket reads, since the network may have slept', () => {
	const {live, seen} = world();
	live.start();
	FakeSocket.opened[0].onopen();
	live.wake();
	assert.deepEqual([seen.reads, FakeSocket.opened.length], [2, 1]);
});

test('a page that waits for something reads every half minute, another does not', () => {
	const {live, seen} = world();
	live.start();
	mock.timers.tick(30_000);
	assert.equal(seen.reads, 0);
	seen.isWaiting = true;
	mock.timers.tick(60_000);
	assert.equal(seen.reads, 2);
});
