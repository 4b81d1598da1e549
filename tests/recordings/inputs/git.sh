# A repository: packs are mapped, gc starts children.
git init -q repo
cd repo || exit 1
git config user.name nobody
git config user.email nobody@example.org
cp ../*.py ../*.sh .
git add .
git commit -q -m first
echo '# more' >> threads.py
git commit -q -a -m second
git gc -q
git log --stat
