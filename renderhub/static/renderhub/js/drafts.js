// @ts-check
// What was typed and not yet exported, kept for as long as the tab is open.

const PREFIX = 'renderhub.draft.';

/** @typedef {import('./props_model.js').Typed} Typed */
/** @typedef {{updatedAt: string, codec: string, typed: Typed}} Draft */

/**
 * @param {import('./api.js').Project} project
 * @returns {Draft | null} `null` where there is none, or where the project has been changed since
 */
export const readDraft = (project) => {
	const stored = sessionStorage.getItem(PREFIX + project.projectId);
	if (stored === null) {
		return null;
	}
	/** @type {Draft} */
	const draft = JSON.parse(stored);
	return draft.updatedAt === project.updatedAt ? draft : null;
};

/**
 * @param {import('./api.js').Project} project
 * @param {{codec: string, typed: Typed}} draft
 */
export const keepDraft = (project, draft) => {
	const stored = JSON.stringify({...draft, updatedAt: project.updatedAt});
	try {
		sessionStorage.setItem(PREFIX + project.projectId, stored);
	} catch {
		// The browser's room is full: the draft lives as long as the page then.
	}
};

/** @param {import('./api.js').Project} project */
export const dropDraft = (project) => sessionStorage.removeItem(PREFIX + project.projectId);

/** Leaves nothing to whoever signs in next. */
export const dropAllDrafts = () => {
	for (const key of Object.keys(sessionStorage)) {
		if (key.startsWith(PREFIX)) {
			sessionStorage.removeItem(key);
		}
	}
};
