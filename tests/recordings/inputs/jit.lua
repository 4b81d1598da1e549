-- A just-in-time compiler: code areas change between writable and executable.
local function mix(n)
  local h = 5381
  for i = 1, n do h = (h * 33 + i) % 4294967296 end
  return h
end
local rows = {}
for i = 1, 300 do rows[i] = tostring(mix(i * 10)) .. string.rep('x', i % 50) end
table.sort(rows)
for i = 1, 200 do
  local f = loadstring('local a, b = ... local s = 0 for i = 1, 200 do s = s + a * i % ' .. i + 1 .. ' - b end return s')
  f(i, 3)
end
rows = nil
collectgarbage()
print(mix(100000))
