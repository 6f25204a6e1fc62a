"""Reading the past: elements that name a moment, and connections and sessions that live in one."""
