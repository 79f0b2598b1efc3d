import {AbsoluteFill, spring, useCurrentFrame, useVideoConfig} from 'remotion';
import {Backdrop} from './Backdrop';
import {Chart} from './Chart';
import {FONT_FAMILY, useFont} from './font';
import {NUMBER_CHARACTERS} from './numbers';
import type {MainProps} from './props';
import {stageFor} from './stage';
import {Title} from './Title';

const MARGIN = 80;

/** The frames that the animation takes at its natural pace; a shorter video plays it faster. */
const NATURAL_LENGTH = 78;

/** A title, a subtitle and an animated chart of values. */
export const MainComposition = ({title, subtitle, accentColor, values}: MainProps) => {
	const frame = useCurrentFrame();
	const {fps, width, durationInFrames} = useVideoConfig();
	const isFontLoaded = useFont([title, subtitle, ...values.map(({label}) => label), NUMBER_CHARACTERS].join(' '));
	if (!isFontLoaded) {
		return null;
	}

	const time = frame * Math.max(1, NATURAL_LENGTH / durationInFrames);
	const stage = stageFor(accentColor);
	const hasChart = values.length > 0;
	const mark = spring({frame: time, fps, config: {damping: 200}, durationInFrames: 20});
	const subtitleIn = spring({frame: time - 8, fps, config: {damping: 200}, durationInFrames: 24});

	return (
		<AbsoluteFill style={{backgroundColor: stage.surface, fontFamily: FONT_FAMILY, fontSynthesis: 'none'}}>
			<Backdrop stage={stage} />
			<AbsoluteFill style={{padding: `60px ${MARGIN}px 30px`, justifyContent: hasChart ? undefined : 'center'}}>
				<div
					style={{
						width: 64,
						height: 8,
						marginBottom: 24,
						flex: 'none',
						borderRadius: 4,
						backgroundColor: stage.accent,
						transform: `scaleX(${mark})`,
						transformOrigin: 'left',
					}}
				/>
				<Title
					text={title}
					time={time}
					color={stage.ink}
					width={width - 2 * MARGIN}
					maxSize={hasChart ? 76 : 128}
					maxHeight={hasChart ? 164 : 400}
				/>
				<div
					dir="auto"
					style={{
						marginTop: 14,
						fontSize: 25,
						lineHeight: 1.3,
						fontWeight: 450,
						letterSpacing: '-0.01em',
						overflowWrap: 'anywhere',
						color: stage.muted,
						opacity: subtitleIn,
						transform: `translateY(${(1 - subtitleIn) * 16}px)`,
					}}
				>
					{subtitle}
				</div>
				{hasChart ? <Chart values={values} stage={stage} time={time} /> : null}
			</AbsoluteFill>
		</AbsoluteFill>
	);
};
