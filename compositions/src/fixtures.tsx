// Compositions that the tests of the system render: one that fails, one that takes its time.
import {AbsoluteFill, useCurrentFrame, useVideoConfig} from 'remotion';

/** Fails in the middle, with a brace that a careless parser of the error trips over. */
export const Throws = () => {
	if (useCurrentFrame() === 10) {
		throw new Error('The chart has no data to draw: {unbalanced');
	}
	return <AbsoluteFill style={{backgroundColor: '#20242c'}} />;
};

/** Long enough to be watched, or cancelled, while it renders. */
export const Long = () => {
	const progress = useCurrentFrame() / useVideoConfig().durationInFrames;
	return (
		<AbsoluteFill style={{backgroundColor: '#20242c'}}>
			<div style={{height: 8, marginTop: 'auto', backgroundColor: '#8b7bff', width: `${progress * 100}%`}} />
		</AbsoluteFill>
	);
};
