def write_page(r,f,n): return 'todo'
