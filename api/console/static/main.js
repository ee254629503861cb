/** The page's beginning: defines the elements, and nothing else. */

import "./shell/console_shell.js";
