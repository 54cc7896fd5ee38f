//! Both ends of the walk: one folder per outside system.
