// @ts-check
// Signing out, on every page.

import {dropAllDrafts} from './drafts.js';
import {find} from './elements.js';

find('sign-out', HTMLFormElement).addEventListener('submit', dropAllDrafts);
