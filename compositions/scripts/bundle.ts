// Bundles the site: npm run bundle [-- FOLDER]. A folder is taken from where npm was called.
import {readdir, rename, rm, writeFile} from 'node:fs/promises';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {bundle} from '@remotion/bundler';
import {catalogue} from '../src/catalogue';

const site = fileURLToPath(new URL('..', import.meta.url));
const argument = process.argv[2];
const outDir = argument ? resolve(process.env.INIT_CWD ?? '.', argument) : resolve(site, '../build/site');

const present = await readdir(outDir).catch((): string[] => []);
if (present.length > 0 && !present.includes('bundle.js')) {
	console.error(`${outDir} holds something else than a bundle; name another folder`);
	process.exit(1);
}

const started = performance.now();
// Made beside its place and moved there whole, so that an interrupted run leaves no half of a site.
const unfinished = `${outDir}.unfinished`;
await rm(unfinished, {recursive: true, force: true});
await bundle({
	entryPoint: resolve(site, 'src/index.ts'),
	rootDir: site,
	outDir: unfinished,
	// Relative, so that the site works under any address.
	publicPath: './',
});
await writeFile(resolve(unfinished, 'compositions.json'), `${JSON.stringify(catalogue())}\n`);
await rm(outDir, {recursive: true, force: true});
await rename(unfinished, outDir);
console.log(`Bundled ${outDir} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
