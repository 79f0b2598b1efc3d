// What Remotion would estimate that a render costs at AWS. Nothing is paid for here; the figures only have the
// size and the shape of the real ones.
import {DISK_MB, MEMORY_MB} from './function.mjs';

// AWS Lambda in us-east-1 on arm64, in US dollars. The first 512 MB of disk are free.
const PER_GB_SECOND = 0.0000133334;
const PER_DISK_GB_SECOND = 0.0000000309;
const PER_REQUEST = 0.0000002;
const FREE_DISK_MB = 512;

/**
 * GB-seconds of memory and disk, and the requests, rounded to five decimals as Remotion does.
 *
 * @param {number} billedMs time of all functions together
 * @param {number} requests how many functions were invoked
 */
export function estimateUsd(billedMs, requests) {
	const seconds = billedMs / 1000;
	const memory = (MEMORY_MB / 1024) * seconds * PER_GB_SECOND;
	const disk = ((DISK_MB - FREE_DISK_MB) / 1024) * seconds * PER_DISK_GB_SECOND;
	return Number((memory + disk + requests * PER_REQUEST).toFixed(5));
}

/** @param {number} usd */
export function displayUsd(usd) {
	return usd < 0.001 ? '<$0.001' : `$${usd.toFixed(3)}`;
}

/** @param {number} usd */
export function costsInfo(usd) {
	return {
		accruedSoFar: usd,
		displayCost: displayUsd(usd),
		currency: 'USD',
		disclaimer: 'Estimated as if rendered on AWS Lambda. A local render costs nothing.',
	};
}
