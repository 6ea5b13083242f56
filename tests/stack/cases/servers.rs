//! The rig itself: what it starts answers foreign clients.

use crate::python;
use crate::rig::Stack;

pub fn round_trip(stack: &Stack) {
    stack.topic("servers", 2);
    let said = python::run(stack, "servers.py", &["servers"]);
    assert_eq!(said, serde_json::json!({ "records": 10, "again": "PreconditionFailed" }));
}
