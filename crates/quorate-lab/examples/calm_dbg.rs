#![allow(clippy::print_stdout)]
use quorate_lab::network::{Delay, NetworkOptions};
use quorate_lab::rng::Seed;
use quorate_lab::swarm::options_of;
fn main() {
    let n: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    for seed in n[0]..n[0] + n[1] {
        let mut options = options_of(Seed::new(seed));
        options.timeline.clear();
        options.lying_clients.clear();
        options.network = NetworkOptions {
            delay: Delay { tail_per_million: 0, ..options.network.delay },
            loss_per_million: 0,
            duplicate_per_million: 0,
            reorders: false,
        };
        options.parameters.throughput_floor = true;
        let o = quorate_lab::world::run(Seed::new(seed), &options);
        if o.counts.slow_primaries > 0 {
            println!("seed {seed}: {} slow, view {}", o.counts.slow_primaries, o.counts.view.get());
        }
    }
}
