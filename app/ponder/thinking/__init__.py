"""How long a model may think: pure decisions over tokens.

No file, no clock, no engine and no screen is known in here. Time comes in as a number, the
vocabulary and the engine's hands come in as objects, and the same scripted run therefore
gives the same decisions on every machine.
"""
