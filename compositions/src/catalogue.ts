// The ids of the site's compositions. The bundle lists them in compositions.json beside its index.html, so that an
// API can refuse an unknown one before anything is rendered.

/** For everybody. */
export const PUBLIC_IDS = ['MainComposition'] as const;

/** For the tests of the system. */
export const FIXTURE_IDS = ['Throws', 'Long'] as const;

export type CompositionId = (typeof PUBLIC_IDS | typeof FIXTURE_IDS)[number];

/** What compositions.json holds. */
export const catalogue = () => ({compositions: [...PUBLIC_IDS, ...FIXTURE_IDS].map((id) => ({id}))});
