//! A seeded simulated world, adversaries and checkers for the unchanged replica.
