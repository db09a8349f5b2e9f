package main

import "golang.org/x/sys/windows"

// freeBytes is the room that dir's volume has for us.
func freeBytes(dir string) (n uint64, known bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil || windows.GetDiskFreeSpaceEx(name, &n, nil, nil) != nil {
		return 0, false
	}
	return n, true
}
