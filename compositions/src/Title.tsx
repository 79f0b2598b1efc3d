import {useMemo} from 'react';
import type {CSSProperties} from 'react';
import {spring, useVideoConfig} from 'remotion';
import {FONT_FAMILY} from './font';

type Props = {
	text: string;
	time: number;
	color: string;
	width: number;
	/** The largest type size, and the height that the title may take at the most, in pixels. */
	maxSize: number;
	maxHeight: number;
};

const MIN_SIZE = 30;
const SPREAD = 14;

const TYPE: CSSProperties = {
	fontFamily: FONT_FAMILY,
	fontWeight: 680,
	lineHeight: 1.06,
	letterSpacing: '-0.03em',
	overflowWrap: 'anywhere',
	textWrap: 'balance',
};

/** Returns the largest type size at which the text is no higher than it may be. */
const fitSize = ({text, width, maxSize, maxHeight}: Omit<Props, 'time' | 'color'>): number => {
	const probe = document.createElement('div');
	Object.assign(probe.style, TYPE, {position: 'absolute', visibility: 'hidden', width: `${width}px`});
	probe.textContent = text;
	document.body.append(probe);
	let size = maxSize;
	do {
		probe.style.fontSize = `${size}px`;
	} while (probe.offsetHeight > maxHeight && (size -= 2) > MIN_SIZE);
	probe.remove();
	return size;
};

/** A headline whose words rise from behind their line, one after the other. */
export const Title = ({text, time, color, width, maxSize, maxHeight}: Props) => {
	const {fps} = useVideoConfig();
	const fontSize = useMemo(() => fitSize({text, width, maxSize, maxHeight}), [text, width, maxSize, maxHeight]);
	const words = text.split(/\s+/).filter(Boolean);
	const stagger = Math.min(2.5, SPREAD / words.length);

	return (
		<div dir="auto" style={{...TYPE, fontSize, color}}>
			{words.flatMap((word, index) => {
				const rise = spring({frame: time - index * stagger, fps, config: {damping: 200}, durationInFrames: 24});
				return [
					<span
						key={index}
						style={{display: 'inline-block', maxWidth: '100%', clipPath: 'inset(-0.15em -0.1em -0.2em)'}}
					>
						<span style={{display: 'inline-block', transform: `translateY(${(1 - rise) * 125}%)`}}>{word}</span>
					</span>,
					' ',
				];
			})}
		</div>
	);
};
