// Package deploy tries what the directory deploy has: the unit with systemd's own
// check, the configurations of nginx and Caddy with the real ones in front of a
// real rpipe proxy, and the flags of containers with the program's.
package deploy
