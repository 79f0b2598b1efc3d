import {openBrowser,renderMedia,selectComposition} from '@remotion/renderer';
const serveUrl=process.argv[2]; const c=Number(process.argv[3]??2);
const b={browserExecutable:'/usr/lib/chromium/chromium-headless-shell',logLevel:'error',chromeMode:'headless-shell'};
const puppeteerInstance=await openBrowser('chrome',{...b,chromiumOptions:{gl:'swangle'}});
console.log('READY');
process.stdin.on('data',async()=>{
 const t=Date.now();
 const composition=await selectComposition({...b,puppeteerInstance,serveUrl,id:'MainComposition',inputProps:{}});
 const t1=Date.now();
 await renderMedia({...b,puppeteerInstance,serveUrl,composition,codec:'h264',outputLocation:'/tmp/rr/bare.mp4',concurrency:c,inputProps:{},imageFormat:'jpeg',enforceAudioTrack:true,licenseKey:null});
 console.log(JSON.stringify({select:t1-t,total:Date.now()-t}));
});
process.stdin.on('end',()=>process.exit());
