"""Fuzzing of every parser by libFuzzer, under AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang.

    python -m tests.fuzz wire sip --seconds 60      replay the saved inputs, go on from them; builds what is missing
    python -m tests.fuzz --all --runs 10000000 --jobs 2
    python -m tests.fuzz --all --runs 0             only the saved inputs
    python -m tests.fuzz sip --input FILE           reproduce: one input, and all that is said about it
    python -m tests.fuzz.seeds                      what to begin with, made of other tests' packets and dialogues
    python -m tests.fuzz --all --minimise 1024      keep the fewest of saved and found inputs that reach as much

    target        what it feeds                               what must hold, besides that no sanitizer complains
    pcap, pcapng  files to the readers                        frames lie in the window; CaptureError or nothing
    wire          frames of every link type to the parser     what later rooms take for granted
    fragments     pieces of datagrams to an engine            in the end nothing is left of them
    tracker       conversations of all protocols, ICMP        batches are not to be seen; the table is sound; in the
                  errors, fragments, damaged packets          end nothing is left
    ftp ... sip   payloads to a helper; opens what it expects  the same
    snapshot      records to an engine, which then goes on    refused, or sound; what is given out is taken in again
    snapshot_file whole files to the loader                   SnapshotError or a sound engine

An input that takes over 100 ms of processor time is a failure, too. What fails is kept in ``build/fuzz/found`` as
``TARGET-*``; ``--input FILE -- -minimize_crash=1 -runs=100000`` hands libFuzzer words of its own, here to make it
smaller. Once the fault is mended, the file goes to ``corpus/TARGET``. An input is settings and records (``driver.c``),
and what a record's bytes mean is said in each target's file, so that most inputs are conversations and not noise.

    __main__  what a person calls       driver.c   libFuzzer: the mutator of records, the clock
    build     the instrumented build    engines    an engine as new for every input, made in a microsecond
    run       the targets by name       forge      packets between few hosts
"""
