// What the installed Remotion says to options of a render, without rendering: for each case that comes as JSON
// on stdin, its error, or null where it would go on to the browser. Then the tables that it exports.
import {createRequire} from 'node:module';
import {text} from 'node:stream/consumers';

const [folder, serveUrl] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const {RenderInternals, renderMedia, renderStill} = require('@remotion/renderer');
const own = (name) => require(`${folder}/node_modules/@remotion/renderer/dist/${name}`);

const PASSED = 'all checks are passed';
const stop = () => {
	throw new Error(PASSED);
};
// The first thing that is asked of a browser, and of an encoder that runs beside it.
const browser = {newPage: stop, close: () => undefined};

const composition = {
	id: 'Any',
	width: 640,
	height: 360,
	fps: 30,
	durationInFrames: 600,
	props: {},
	defaultProps: {},
	defaultCodec: null,
	defaultOutName: null,
	defaultPixelFormat: null,
	defaultProResProfile: null,
	defaultSampleRate: null,
	defaultVideoImageFormat: null,
};
const shared = {serveUrl, inputProps: {}, puppeteerInstance: browser, licenseKey: null, logLevel: 'error'};

const render = ({codec, frame, options}) => {
	const {width, height, fps, durationInFrames, downloadBehavior, framesPerLambda, ...rest} = options;
	const given = {width, height, fps, durationInFrames};
	const forced = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
	const settings = {...shared, ...rest, composition: {...composition, ...forced}};
	if (['png', 'jpeg', 'webp', 'pdf'].includes(codec)) {
		return renderStill({...settings, imageFormat: codec, frame: frame ?? 0});
	}
	const extension = RenderInternals.getFileExtensionFromCodec(codec, rest.audioCodec ?? null);
	const outputLocation = `${process.cwd()}/never.${extension}`;
	return renderMedia({...settings, codec, outputLocation, ffmpegOverride: stop, concurrency: 1});
};

const verdictOn = async (one) => {
	try {
		await render(one);
	} catch (error) {
		return error.message.includes(PASSED) ? null : error.message;
	}
	throw new Error(`${JSON.stringify(one)} was rendered`);
};

const {validCodecs} = own('codec.js');
const {supportedAudioCodecs} = own('options/audio-codec.js');
const tables = {
	crfRanges: Object.fromEntries(validCodecs.map((codec) => [codec, own('crf.js').getValidCrfRanges(codec)])),
	audioCodecs: supportedAudioCodecs,
	pixelFormats: Object.fromEntries(
		validCodecs.map((codec) => [codec, own('pixel-format.js').validPixelFormatsForCodec(codec)]),
	),
	imageFormats: own('image-format.js').validVideoImageFormats,
	stills: own('image-format.js').validStillImageFormats,
	x264Presets: own('options/x264-preset.js').x264PresetOptions,
	proResProfiles: require('remotion/no-react').NoReactInternals.proResProfileOptions,
	extensions: Object.fromEntries(
		validCodecs.map((codec) => [
			codec,
			Object.fromEntries(
				[null, ...supportedAudioCodecs[codec]].map((audio) => [
					audio ?? 'usual',
					RenderInternals.getFileExtensionFromCodec(codec, audio),
				]),
			),
		]),
	),
	mimeTypes: Object.fromEntries(
		['mp4', 'webm', 'mov', 'gif', 'mp3', 'aac', 'wav', 'mkv', 'png', 'jpeg', 'webp', 'pdf'].map((extension) => [
			extension,
			RenderInternals.mimeLookup(`file.${extension}`),
		]),
	),
};

// Each takes a port for its site while it lasts.
const AT_ONCE = 20;
const cases = JSON.parse(await text(process.stdin));
const verdicts = [];
while (verdicts.length < cases.length) {
	const some = cases.slice(verdicts.length, verdicts.length + AT_ONCE);
	verdicts.push(...(await Promise.all(some.map(verdictOn))));
}
process.stdout.write(JSON.stringify({verdicts, tables}), () => process.exit(0));
