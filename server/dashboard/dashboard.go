// Package dashboard is the pages of rpipe serve under /ui/: what is queued, runs, failed
// and comes next, for people with a browser. The server puts it in front of its REST API
// and is its user.
//
// What is promised: every figure is one that the API has told for this very request, by
// asking it in the process as who asks for the page, so nobody sees or does more here
// than he might there. Pages and forms work without JavaScript; with it they change as
// things do. Nothing is loaded from anywhere else, and no style or script stands in a
// page, so that the Content-Security-Policy can forbid both.
package dashboard
