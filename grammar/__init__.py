if __name__ != "bileveldsl.grammar":
    raise ImportError("import this package as bileveldsl.grammar; a second copy would have classes of its own")
