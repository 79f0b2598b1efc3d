import {Composition, Folder} from 'remotion';
import {Long, Throws} from './fixtures';
import {MainComposition} from './MainComposition';
import {mainSchema, parseProps} from './props';

const FPS = 30;

export const Root = () => (
	<>
		<Composition
			id="MainComposition"
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
		<Folder name="tests">
			<Composition id="Throws" component={Throws} width={320} height={180} fps={FPS} durationInFrames={30} />
			<Composition id="Long" component={Long} width={640} height={360} fps={FPS} durationInFrames={600} />
		</Folder>
	</>
);
