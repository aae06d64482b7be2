if __name__ != "bileveldsl.backends":
    raise ImportError("import this package as bileveldsl.backends; a second copy would have classes of its own")
