package rpool

// GuardMain does nothing here: there are no R processes to guard on Windows.
func GuardMain() {}
