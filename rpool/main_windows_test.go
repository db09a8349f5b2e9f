package rpool

// There are no R processes on Windows, so nothing to host.
const hostEnv = "RPIPE_TEST_HOST"

func hostMain() {}
