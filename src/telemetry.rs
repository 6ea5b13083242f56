//! Every metric name. Counters that the data path touches are plain atomics here; `server` renders them.
