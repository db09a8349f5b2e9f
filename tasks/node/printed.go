package node

import "github.com/rpipe-dev/rpipe/logs"

// TaskOf is the id of the task that an R process runs; "" for none.
func (n *Node) TaskOf(pid int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, h := range n.held {
		if h.pid == pid && h.begun && !h.ending {
			return id
		}
	}
	return ""
}

// Printed logs a line that an R process has written outside of a task's own log, with the
// task that it runs: it is for rpool.Options.Output.
func (n *Node) Printed(pid int, line string) {
	if id := n.TaskOf(pid); id != "" {
		n.log.Info("R: "+line, logs.Pid, pid, logs.Task, id)
		return
	}
	n.log.Info("R: "+line, logs.Pid, pid)
}
