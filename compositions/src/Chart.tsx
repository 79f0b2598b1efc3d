import {Easing, interpolate, spring, useVideoConfig} from 'remotion';
import {numberWriter} from './numbers';
import type {MainProps} from './props';
import type {Stage} from './stage';

type Props = {
	values: MainProps['values'];
	stage: Stage;
	/** The moment of the animation, in frames. */
	time: number;
};

/** When the first column starts, how far apart first and last start at the most, when the largest lights up. */
const FIRST_COLUMN_AT = 12;
const SPREAD = 18;
const HIGHLIGHT_AT = 44;

/** Room for the labels, in pixels. */
const LABEL_ROOM = 54;

const clamp = {extrapolateLeft: 'clamp', extrapolateRight: 'clamp'} as const;

/**
 * Columns that grow from a baseline at zero; then the largest lights up, or all where none stands out. Negative values
 * hang below the baseline as outlines, so that they differ in more than their direction; a zero is a line on it.
 */
export const Chart = ({values, stage, time}: Props) => {
	const {fps} = useVideoConfig();
	const numbers = values.map(({value}) => value);
	const write = numberWriter(numbers);

	const largest = Math.max(...numbers);
	const hasPeak = largest > 0 && numbers.some((number) => number !== largest);
	const ceiling = Math.max(0, largest);
	const floor = Math.min(0, ...numbers);
	// All zero: the baseline lies at the bottom.
	const above = ceiling === floor ? 100 : (ceiling / (ceiling - floor)) * 100;

	const gap = interpolate(values.length, [1, 12], [28, 12]);
	const radius = interpolate(values.length, [1, 12], [18, 10]);
	const numberSize = interpolate(values.length, [1, 4, 7, 12], [64, 48, 34, 20]);
	const labelSize = interpolate(values.length, [1, 5, 12], [26, 22, 15]);
	const numberRoom = numberSize + 18;
	const labelsBelow = floor < 0 ? numberRoom + 8 : 14;
	const stagger = Math.min(3, SPREAD / values.length);

	const highlight = spring({frame: time - HIGHLIGHT_AT, fps, config: {damping: 200}, durationInFrames: 22});
	const baseline = interpolate(time, [FIRST_COLUMN_AT - 8, FIRST_COLUMN_AT + 16], [0, 1], {
		...clamp,
		easing: Easing.out(Easing.cubic),
	});

	return (
		<div
			style={{
				position: 'relative',
				flex: 1,
				display: 'flex',
				gap,
				marginTop: numberRoom + 10,
				marginBottom: labelsBelow + LABEL_ROOM,
			}}
		>
			{values.map(({label, value}, index) => {
				const growth = spring({
					frame: time - FIRST_COLUMN_AT - index * stagger,
					fps,
					config: {damping: 17, mass: 0.9, stiffness: 95},
				});
				const shown = interpolate(growth, [0, 0.2], [0, 1], clamp);
				const isNegative = value < 0;
				const light = hasPeak && value !== largest ? 0 : highlight;
				const ink = `color-mix(in oklab, ${stage.ink} ${light * 100}%, ${stage.muted})`;
				// The column lies at its place from the start and slides out from behind the baseline.
				const hidden = (1 - growth) * 100;
				const [near, far] = isNegative ? ['top', 'bottom'] : ['bottom', 'top'];

				return (
					<div key={index} style={{position: 'relative', flex: '1 1 0', minWidth: 0}}>
						<div
							style={{
								position: 'absolute',
								left: 0,
								right: 0,
								[far]: 0,
								height: `${isNegative ? 100 - above : above}%`,
								clipPath: isNegative
									? `inset(0 -100% -${numberRoom}px 0)`
									: `inset(-${numberRoom}px -100% 0 0)`,
								// At rest its edge would shine through the clip.
								visibility: growth === 0 ? 'hidden' : undefined,
							}}
						>
							<div
								style={{
									position: 'absolute',
									left: 0,
									right: 0,
									[near]: 0,
									height: `${(value / (isNegative ? floor : ceiling || 1)) * 100}%`,
									minHeight: 5,
									transform: `translateY(${isNegative ? -hidden : hidden}%)`,
								}}
							>
								<div
									style={{
										position: 'absolute',
										left: 0,
										right: 0,
										[far]: 0,
										// Goes on behind the baseline, for the moment in which the spring overshoots.
										[near]: -40,
										overflow: 'hidden',
										boxSizing: 'border-box',
										borderRadius: value === 0 ? 2 : radius,
										border: isNegative ? `2px solid ${stage.accent}` : undefined,
										background: isNegative ? stage.tint : stage.fade,
									}}
								>
									{light > 0 && !isNegative ? (
										<div
											style={{
												height: '100%',
												backgroundColor: stage.accent,
												transform: `translateY(${(1 - light) * 100}%)`,
											}}
										/>
									) : null}
								</div>
								<div
									style={{
										position: 'absolute',
										left: 0,
										[near]: '100%',
										padding: '8px 0',
										whiteSpace: 'nowrap',
										fontSize: numberSize,
										lineHeight: 1,
										fontWeight: 650,
										letterSpacing: '-0.02em',
										fontVariantNumeric: 'tabular-nums',
										color: ink,
										opacity: shown,
									}}
								>
									{write(value * Math.min(1, growth))}
								</div>
							</div>
						</div>
						<div
							dir="auto"
							style={{
								position: 'absolute',
								top: `calc(100% + ${labelsBelow}px)`,
								left: 0,
								right: 0,
								display: '-webkit-box',
								WebkitBoxOrient: 'vertical',
								WebkitLineClamp: 2,
								overflow: 'hidden',
								overflowWrap: 'anywhere',
								fontSize: labelSize,
								lineHeight: 1.2,
								fontWeight: 550,
								color: ink,
								opacity: shown,
							}}
						>
							{label}
						</div>
					</div>
				);
			})}
			<div
				style={{
					position: 'absolute',
					top: `${above}%`,
					left: 0,
					right: 0,
					height: 2,
					backgroundColor: stage.line,
					transform: `scaleX(${baseline})`,
					transformOrigin: 'left',
				}}
			/>
		</div>
	);
};
