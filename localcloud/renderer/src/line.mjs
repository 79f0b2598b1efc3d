/**
 * Makes a line in which one task at a time has its turn, in the order of their coming.
 *
 * @returns {<T>(task: () => Promise<T>) => Promise<T>}
 */
export function createLine() {
	/** @type {Promise<unknown>} */
	let last = Promise.resolve();
	return (task) => {
		const turn = last.then(task);
		last = turn.catch(() => undefined);
		return turn;
	};
}
