// @ts-check
// Numbers, moments and states as a person would say them.

/** @typedef {import('./api.js').ExportRow} ExportRow */

/** @param {number} bytes */
export const sizeInWords = (bytes) => {
	const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
	let power = 0;
	let size = bytes;
	while (size >= 999.5 && power < units.length - 1) {
		size /= 1000;
		power += 1;
	}
	return `${power > 0 && size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[power]}`;
};

/** @param {number} seconds */
export const durationInWords = (seconds) => {
	if (seconds < 9.95) {
		return `${seconds.toFixed(1)} s`;
	}
	const whole = Math.round(seconds);
	if (whole < 60) {
		return `${whole} s`;
	}
	const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
	return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
};

/**
 * @param {string} moment in ISO 8601
 * @param {number} now in milliseconds
 */
export const agoInWords = (moment, now) => {
	const seconds = Math.max(0, (now - Date.parse(moment)) / 1000);
	if (seconds < 45) {
		return 'just now';
	}
	if (seconds < 45 * 60) {
		return `${Math.max(1, Math.round(seconds / 60))} min ago`;
	}
	if (seconds < 20 * 3600) {
		return `${Math.max(1, Math.round(seconds / 3600))} h ago`;
	}
	return new Date(moment).toLocaleDateString('en-GB', {day: 'numeric', month: 'short', year: 'numeric'});
};

/** @param {string} moment in ISO 8601 */
export const momentInWords = (moment) =>
	new Date(moment).toLocaleString('en-GB', {dateStyle: 'medium', timeStyle: 'medium'});

/** @param {string} moment in ISO 8601 */
export const clockInWords = (moment) => new Date(moment).toLocaleTimeString('en-GB');

/** @param {{amount: string, currency: string}} cost */
export const costInWords = ({amount, currency}) => {
	const value = Number(amount);
	const sign = currency === 'USD' ? '$' : `${currency} `;
	if (value === 0) {
		return `${sign}0`;
	}
	// Renders cost fractions of a cent: two digits that mean something, whatever their place.
	const digits = Math.max(2, 1 - Math.floor(Math.log10(value)));
	return `${sign}${value.toFixed(digits)}`;
};

/** @param {ExportRow} row */
export const statusInWords = (row) => {
	switch (row.status) {
		case 'pending':
			return 'Queued';
		case 'processing':
			return row.progress > 0 ? 'Rendering' : 'Starting';
		case 'completed':
			return 'Ready';
		case 'failed':
			return 'Failed';
		case 'cancelled':
			return 'Cancelled';
		default:
			return row.status;
	}
};

/** @param {number} progress from 0 to 1 */
export const percentInWords = (progress) => `${Math.floor(progress * 100)} %`;

/** @param {ExportRow} row */
export const remainingInWords = (row) => {
	if (row.status === 'pending' && row.queuePosition) {
		return row.queuePosition === 1 ? 'Next in line' : `In line, number ${row.queuePosition}`;
	}
	if (row.status === 'pending') {
		return row.attempt > 1 ? `Waiting for a worker, attempt ${row.attempt}` : 'Waiting for a worker';
	}
	if (row.etaSeconds === null || row.etaSeconds === undefined) {
		return row.progress > 0 ? '' : 'The render is being started';
	}
	return row.etaSeconds < 1 ? 'Almost there' : `About ${durationInWords(Math.ceil(row.etaSeconds))} left`;
};

const FORMATS = /** @type {Record<string, string>} */ ({
	h264: 'MP4 · H.264',
	h265: 'MP4 · H.265',
	vp8: 'WebM · VP8',
	vp9: 'WebM · VP9',
	prores: 'MOV · ProRes',
	gif: 'GIF',
	mp3: 'MP3',
	aac: 'AAC',
	wav: 'WAV',
	png: 'PNG · still',
	jpeg: 'JPEG · still',
	webp: 'WebP · still',
	pdf: 'PDF · still',
});

const MEDIA = /** @type {Record<string, 'audio' | 'animation' | 'picture' | 'page'>} */ ({
	gif: 'animation',
	mp3: 'audio',
	aac: 'audio',
	wav: 'audio',
	png: 'picture',
	jpeg: 'picture',
	webp: 'picture',
	pdf: 'page',
});

/** @param {string} codec */
export const formatInWords = (codec) => FORMATS[codec] ?? codec;

/** @param {string} codec */
export const mediumOf = (codec) => MEDIA[codec] ?? 'video';

const EVENTS = /** @type {Record<string, string>} */ ({
	created: 'You asked for it',
	admitted: 'Its turn came',
	claimed: 'A worker took it',
	started: 'Remotion began to render',
	throttled: 'Remotion was busy; the start was put off',
	completed: 'The file was ready',
	failed: 'It failed',
	timed_out: 'The render took too long',
	attempt_lost: 'The attempt was lost; a further one began',
	attempt_failed: 'The attempt failed; a further one began',
	cancelled: 'It was cancelled',
	retried: 'It was asked for again',
});

/** @param {string} type */
export const eventInWords = (type) => EVENTS[type] ?? type.replaceAll('_', ' ');
