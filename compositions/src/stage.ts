/** The colours of a scene, as CSS values. */
export type Stage = {
	surface: string;
	ink: string;
	muted: string;
	line: string;
	accent: string;
	/** The accent, held back: from the top of a column to its foot. */
	fade: string;
	/** A hint of the accent. */
	tint: string;
};

/** Relative luminance of #rrggbb, 0 to 1 (WCAG 2.2). */
const luminance = (color: string): number => {
	const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
		const channel = Number.parseInt(color.slice(start, start + 2), 16) / 255;
		return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
	});
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

/**
 * Chooses the stage for an accent: dark for a light one, light for a dark one. The accent itself is never altered, and
 * its contrast with the surface is about 4:1 at the least.
 */
export const stageFor = (accent: string): Stage => {
	// Where the contrasts with a near-black and with a near-white surface are the same.
	const isDark = luminance(accent) > 0.18;
	const [surface, ink] = isDark ? ['#0c0d12', '#f7f6f3'] : ['#f6f4f0', '#14151a'];
	const mix = (color: string, share: number) => `color-mix(in oklab, ${color} ${share}%, ${surface})`;
	return {
		surface: mix(accent, isDark ? 5 : 3),
		ink,
		muted: mix(ink, 66),
		line: mix(ink, 17),
		accent,
		fade: `linear-gradient(${mix(accent, 56)}, ${mix(accent, 24)})`,
		tint: mix(accent, 12),
	};
};
