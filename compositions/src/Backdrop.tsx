import {AbsoluteFill, useCurrentFrame} from 'remotion';
import type {Stage} from './stage';

const RINGS = [260, 420, 580, 740];

/** Thin rings around the upper right corner that widen slowly, so that the scene never stands quite still. */
export const Backdrop = ({stage}: {stage: Stage}) => {
	const frame = useCurrentFrame();
	return (
		<AbsoluteFill style={{overflow: 'hidden'}}>
			{RINGS.map((radius, index) => (
				<div
					key={radius}
					style={{
						position: 'absolute',
						right: -radius,
						top: -radius,
						width: radius * 2,
						height: radius * 2,
						borderRadius: '50%',
						boxSizing: 'border-box',
						border: `1.5px solid ${stage.line}`,
						opacity: 1 - index * 0.22,
						transform: `scale(${1 + frame * 0.0006})`,
					}}
				/>
			))}
		</AbsoluteFill>
	);
};
