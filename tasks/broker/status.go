package broker

import (
	"context"
	"fmt"
)

// Status is how a store is.
type Status struct {
	Server    string         `json:"server"`            // the one connected to
	URL       string         `json:"url,omitempty"`     // "" where it is in this process
	Cluster   string         `json:"cluster,omitempty"` // rpipe's id of it
	Servers   []string       `json:"servers,omitempty"` // all that are known
	Connected bool           `json:"connected"`
	Bytes     uint64         `json:"bytes"` // of all streams, one copy
	Streams   []StreamStatus `json:"streams"`
}

// StreamStatus is how a stream is.
type StreamStatus struct {
	Name      string   `json:"name"`
	Messages  uint64   `json:"messages"`
	Bytes     uint64   `json:"bytes"`
	Consumers int      `json:"consumers"`
	Replicas  int      `json:"replicas"`
	Leader    string   `json:"leader,omitempty"`
	Lagging   []string `json:"lagging,omitempty"` // copies that are behind, or away
}

// Status asks how the store is.
func (b *Broker) Status(ctx context.Context) (Status, error) {
	s := Status{Server: b.nc.ConnectedServerName(), Connected: b.nc.IsConnected()}
	if b.server == nil {
		s.URL, s.Servers = b.nc.ConnectedUrlRedacted(), b.nc.Servers()
	}
	for _, c := range streams(b.replicas) {
		info, err := b.info(ctx, c.Name)
		if err != nil {
			return s, fmt.Errorf("status: %w", err)
		}
		st := StreamStatus{
			Name: c.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes, Consumers: info.State.Consumers, Replicas: info.Config.Replicas,
		}
		if cl := info.Cluster; cl != nil {
			st.Leader = cl.Leader
			for _, r := range cl.Replicas {
				if !r.Current || r.Offline {
					st.Lagging = append(st.Lagging, r.Name)
				}
			}
		}
		if c.Name == recordStream {
			s.Cluster = info.Config.Metadata[metaCluster]
		}
		s.Bytes += st.Bytes
		s.Streams = append(s.Streams, st)
	}
	return s, nil
}
