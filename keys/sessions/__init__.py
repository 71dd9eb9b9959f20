"""Protocol sessions: a row per run, leased to one worker at a time, its messages stored, its generator replayed.

``services`` opens, wakes and ends sessions; ``rooms`` takes their places at the relay; ``lease`` gives one to a worker;
``driver`` feeds the generator; ``log`` is what it is replayed from; ``records`` are what the keystore knows of it when
the database was restored; ``carrier`` takes receipts through the room afterwards; ``kinds`` says what differs between
keygen, signing and resharing.
"""
