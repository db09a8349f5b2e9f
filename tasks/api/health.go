package api

// Health says whether a server lives.
type Health struct {
	Status string `json:"status" doc:"ok, or failed: then it is to be started anew."`
	Reason string `json:"reason,omitempty" doc:"Why it has failed."`
}

// Readiness says whether a server takes tasks.
type Readiness struct {
	Ready  bool    `json:"ready" doc:"All that is required is well."`
	Checks []Check `json:"checks" doc:"Its parts: engine, disk, drain, index, r, leader and schedules."`
}

// Check is how a part of a server is.
type Check struct {
	Name     string `json:"name" doc:"The part."`
	OK       bool   `json:"ok" doc:"It is well."`
	Required bool   `json:"required" doc:"Where it is not well, the server is not ready."`
	Message  string `json:"message,omitempty" doc:"What is wrong."`
	Detail   string `json:"detail,omitempty" doc:"What the part itself says, for those who may read everybody's tasks."`
}
