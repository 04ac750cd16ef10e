"""The Platform API as the vendor's contract has it, as data: what the emulator describes and the types are made of."""
