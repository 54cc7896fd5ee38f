//! What can go wrong around a hub, one test for each: the disk, the clock, the process, the network,
//! one message, too many messages. One judge for all of them: what was acknowledged has arrived once at
//! each permitted sink in the right words and in order, nothing else has, and afterwards a fresh message
//! flows.

mod clock;
mod cluster;
mod database;
mod disk;
mod load;
mod network;
mod poison;
mod proxy;
mod trial;
