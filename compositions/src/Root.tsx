import type {FC} from 'react';
import {Composition, Folder} from 'remotion';
import {type CompositionId, FIXTURE_IDS, PUBLIC_IDS} from './catalogue';
import {Long, Throws} from './fixtures';
import {MainComposition} from './MainComposition';
import {mainSchema, parseProps} from './props';

const FPS = 30;

// One for each id of the catalogue, which the type makes sure of; the id is passed in, so that it can't differ.
const compositions: Record<CompositionId, FC<{id: CompositionId}>> = {
	MainComposition: ({id}) => (
		<Composition
			id={id}
			component={MainComposition}
			schema={mainSchema}
			defaultProps={parseProps({})}
			width={1280}
			height={720}
			fps={FPS}
			calculateMetadata={({props}) => {
				const checked = parseProps(props);
				return {props: checked, durationInFrames: Math.round(checked.durationInSeconds * FPS)};
			}}
		/>
	),
	Throws: ({id}) => (
		<Composition id={id} component={Throws} width={320} height={180} fps={FPS} durationInFrames={30} />
	),
	Long: ({id}) => <Composition id={id} component={Long} width={640} height={360} fps={FPS} durationInFrames={600} />,
};

const Registered = ({id}: {id: CompositionId}) => {
	const Element = compositions[id];
	return <Element id={id} />;
};

export const Root = () => (
	<>
		{PUBLIC_IDS.map((id) => (
			<Registered key={id} id={id} />
		))}
		<Folder name="tests">
			{FIXTURE_IDS.map((id) => (
				<Registered key={id} id={id} />
			))}
		</Folder>
	</>
);
