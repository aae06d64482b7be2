"""What follows from the facts of a program: its class, the theorems that apply, and the methods that are sound."""
