//go:build unix && long

package rpool

// interrupts is how many TestInterruptsHitNoInnocentRequest sends.
const interrupts = 2000
