REMEDY = ""
def available(): return False
def draw(r): pass
