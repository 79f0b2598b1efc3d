// Where the site of a render comes from, and where its file goes.
import {RenderInternals} from '@remotion/renderer';

/** @typedef {string | {bucketName: string, key: string} | null | undefined} OutName */
/** @typedef {{type: string, fileName?: string | null} | null | undefined} DownloadBehavior */

/** What the names of a render's own files begin with. */
export const rendersPrefix = (/** @type {string} */ renderId) => `renders/${renderId}`;

/**
 * A name alone lands beside the render's progress; with a bucket and a key the file goes just there.
 *
 * @param {{outName: OutName, renderId: string, bucketName: string, extension: string}} render
 */
export function outputOf({outName, renderId, bucketName, extension}) {
	if (!outName) {
		return {bucketName, key: `${rendersPrefix(renderId)}/out.${extension}`};
	}
	const output =
		typeof outName === 'string'
			? {bucketName, key: `${rendersPrefix(renderId)}/${outName}`}
			: {bucketName: outName.bucketName, key: outName.key};
	if (typeof output.key !== 'string' || !/^[0-9a-zA-Z\-!_.*'()/:&$@=;+,?]+$/.test(output.key)) {
		throw new Error(`The key of the output, ${JSON.stringify(output.key)}, has characters that S3 keys should not have.`);
	}
	return output;
}

/**
 * @param {string} urlOrSite an address, or the name of a site in the bucket
 * @param {string} bucketName
 * @param {import('./storage.mjs').Storage} storage
 */
export function serveUrlOf(urlOrSite, bucketName, storage) {
	return /^https?:\/\//.test(urlOrSite) ? urlOrSite : storage.urlOf(bucketName, `sites/${urlOrSite}/index.html`);
}

/** @param {string} key */
export function contentTypeOf(key) {
	return RenderInternals.mimeLookup(key) || 'application/octet-stream';
}

/** @param {DownloadBehavior} behavior */
export function contentDispositionOf(behavior) {
	if (behavior?.type !== 'download') {
		return undefined;
	}
	return behavior.fileName ? `attachment; filename="${encodeURIComponent(behavior.fileName)}"` : 'attachment';
}
