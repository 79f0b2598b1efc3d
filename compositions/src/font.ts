import '@fontsource-variable/inter/opsz.css';
import {useEffect, useState} from 'react';
import {useDelayRender} from 'remotion';

/** The bundled font; system fonts stand in for scripts that it doesn't have. */
export const FONT_FAMILY = "'Inter Variable', system-ui, sans-serif";

/** Holds the render until the parts of the font that `text` needs are loaded, and tells whether they are. */
export const useFont = (text: string): boolean => {
	const {delayRender, continueRender, cancelRender} = useDelayRender();
	const [handle] = useState(() => delayRender('Loading the font'));
	const [isLoaded, setIsLoaded] = useState(false);

	useEffect(() => {
		document.fonts
			.load("1em 'Inter Variable'", text)
			.then(() => setIsLoaded(true))
			.catch((error: unknown) => cancelRender(error));
	}, [text, cancelRender]);

	// Only once the text stands on the page, not as soon as the font is there.
	useEffect(() => {
		if (isLoaded) {
			continueRender(handle);
		}
	}, [isLoaded, handle, continueRender]);

	return isLoaded;
};
