/**
 * @typedef {{type: 'payload', payload: string}
 *   | {type: 'bucket-url', hash: string, bucketName: string}} SerializedProps
 */

/** @param {string} hash */
const keyOf = (hash) => `input-props/${hash}.json`;

/**
 * Reads the props of a render, which the client puts into the bucket where they are large.
 *
 * Like the real function it looks in the render's own bucket, not in the one that the props name.
 *
 * @param {SerializedProps} serialized
 * @param {{bucketName: string, storage: import('./storage.mjs').Storage}} from
 * @returns {Promise<Record<string, unknown>>}
 */
export async function readInputProps(serialized, {bucketName, storage}) {
	if (serialized.type === 'payload') {
		return JSON.parse(serialized.payload);
	}
	try {
		return JSON.parse(await storage.readText(bucketName, keyOf(serialized.hash)));
	} catch (error) {
		throw new Error(`Failed to parse input props that were serialized: ${/** @type {Error} */ (error).stack}`);
	}
}

/**
 * Removes props that were put into the bucket, as the real function does after a success.
 *
 * @param {SerializedProps} serialized
 * @param {{bucketName: string, storage: import('./storage.mjs').Storage}} from
 */
export async function removeInputProps(serialized, {bucketName, storage}) {
	if (serialized.type === 'bucket-url') {
		await storage.remove(bucketName, keyOf(serialized.hash));
	}
}
